"""HTTP, as little of it as a monitoring system needs: one GET, one answer, the end of the connection."""
