"""The pages for people: rendered on the server, of use without JavaScript, over the same calls as the API."""
