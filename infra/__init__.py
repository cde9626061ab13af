"""What starts, installs and shows the real parts that layoutlift is tested and demonstrated with."""
