"""refimpl against programs that no one here wrote, both ways."""
