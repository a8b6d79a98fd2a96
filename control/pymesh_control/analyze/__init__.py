"""Analysis across resources: what each of them alone cannot show. Rules are in a file for each subject, in `catalogue` all together."""
