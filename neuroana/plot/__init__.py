"""Figure pieces that several wings and the report share."""
