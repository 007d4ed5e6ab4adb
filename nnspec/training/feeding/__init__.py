"""From data that was loaded to batches on a device."""
