"""The ADS client: subscriptions, ACK and NACK, warming, back-off. The last good configuration serves while the stream is down."""
