"""What Prefect is told about the flows, as data; `check.py` proves that it fits them."""
