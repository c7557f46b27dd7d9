"""One self-contained HTML page about a study: data, tables as HTML, charts drawn by ECharts."""
