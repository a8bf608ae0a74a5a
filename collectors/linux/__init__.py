"""What Linux itself tells about mounts, devices and processes; shared by the collectors of this system."""
