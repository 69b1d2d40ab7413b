# NOT YOURS: the lead is writing this on main; see LEAD-NOTE.md at the root
