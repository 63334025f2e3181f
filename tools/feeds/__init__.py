"""Sources of ticks: recorded files merged by event time, and live wires."""
