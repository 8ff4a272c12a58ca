"""From one database into another, whatever they are: copied, compared, backed up."""
