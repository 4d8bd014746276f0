"""The gateway's schema: numbered SQL files, applied by ``libs.chassis.migrate``."""
