"""What jobs say: instructions, OpenQASM programs, devices, and the leniency with which numbers are read."""
