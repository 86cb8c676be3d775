"""What several tabs share: style, events, charts, tables, and how values reach the scripts."""
