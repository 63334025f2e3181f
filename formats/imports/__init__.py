"""What is imported late, or not at all: modules that libraries load and gpi hardly ever uses."""
