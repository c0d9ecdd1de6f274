"""Tables as text: Markdown for the repository and the web, compact tables for the terminal."""
