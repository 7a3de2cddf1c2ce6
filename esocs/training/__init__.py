"""Room 5: training sets, training runs, and the promotion of a challenger."""
