"""Rules of Hex, its symmetries, and game records. Knows no tensor and no cluster."""
