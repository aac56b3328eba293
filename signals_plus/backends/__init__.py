"""Where task receivers run: one module per queue, imported only when the settings name it."""
