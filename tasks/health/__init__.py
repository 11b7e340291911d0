"""How the laboratory is: what each part is asked, and all of them side by side."""
