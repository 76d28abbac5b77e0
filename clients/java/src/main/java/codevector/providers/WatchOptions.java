package codevector.providers;

import java.time.Duration;

/**
 * How a {@link Router} watches.
 *
 * @param watcherId names this router to the registry, e.g. its pod; no two routers may have the same. Empty: the
 *     registry does not count it, and nothing is reported
 * @param bookmarkInterval the longest silence of the registry, 1 s to 60 s; a stream silent for three is given up
 * @param longestPause between two connections; each waits a random part of what it would be
 */
public record WatchOptions(String watcherId, Duration bookmarkInterval, Duration longestPause) {
    public WatchOptions {
        if (bookmarkInterval.compareTo(Duration.ofSeconds(1)) < 0
                || bookmarkInterval.compareTo(Duration.ofSeconds(60)) > 0) {
            throw new IllegalArgumentException("bookmarkInterval is 1 s to 60 s");
        }
        if (longestPause.compareTo(Duration.ofMillis(1)) < 0) {
            throw new IllegalArgumentException("longestPause is 1 ms or more");
        }
    }

    /** A bookmark each 15 s, and pauses of up to 5 s. */
    public static WatchOptions of(String watcherId) {
        return new WatchOptions(watcherId, Duration.ofSeconds(15), Duration.ofSeconds(5));
    }

    /** After so long without a message the stream is dead. */
    Duration silence() {
        return bookmarkInterval.multipliedBy(3);
    }
}
