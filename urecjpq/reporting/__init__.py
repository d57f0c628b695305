"""What a report page is made of: rows, drawings, code usage, latency, neighbours."""

from urecjpq.reporting.measurements import measure as measure
