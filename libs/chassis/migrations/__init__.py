"""The chassis' own tables; applied to every service's database before its own."""
