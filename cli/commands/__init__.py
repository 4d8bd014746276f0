"""The commands of `yokocho`, one module per topic; no decisions here, only words."""
