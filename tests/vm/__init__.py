"""A virtual machine by software emulation: a kernel that has ip_vs, on machines whose own has not."""
