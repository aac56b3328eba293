"""The contenders. Each module has ``measure(bench)``, which returns its figures by their names."""
