"""What a rule is: its metadata and registry, its page, the findings it yields, and suppressions."""
