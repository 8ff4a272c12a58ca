"""Steam: Web API tickets, session tickets and encrypted app tickets."""
