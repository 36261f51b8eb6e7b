"""What every part of the house stands on: the recording contract, storage, steps."""
