"""Who is who: people, their accounts and dates as HR gives them, and the pseudonyms that hide them."""
