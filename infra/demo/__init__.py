"""`make demo`: the main job on real parts, left running for a look; `make demo-stop` ends them."""
