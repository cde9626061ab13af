"""What users can say of a run: models that the dashboard's forms and the command's options are made of."""
