package codevector.providers;

import java.time.Duration;

/**
 * How a {@link Router} watches.
 *
 * @param watcherId names this router to the registry, e.g. its pod. Empty: the registry does not count it, and it
 *     reports nothing
 * @param bookmarkInterval the longest silence of the registry, 1 s to 60 s; a stream silent for three is closed
 * @param longestPause between two connections; each wait is a random part of it
 */
public record WatchOptions(String watcherId, Duration bookmarkInterval, Duration longestPause) {
    public WatchOptions {
        if (bookmarkInterval.compareTo(Duration.ofSeconds(1)) < 0
                || bookmarkInterval.compareTo(Duration.ofSeconds(60)) > 0) {
            throw new IllegalArgumentException("bookmarkInterval must be 1 s to 60 s");
        }
        if (longestPause.compareTo(Duration.ofMillis(1)) < 0) {
            throw new IllegalArgumentException("longestPause must be 1 ms or more");
        }
    }

    /** A bookmark every 15 s, and pauses of up to 5 s. */
    public static WatchOptions of(String watcherId) {
        return new WatchOptions(watcherId, Duration.ofSeconds(15), Duration.ofSeconds(5));
    }

    /** How long a stream may be silent before it counts as dead. */
    Duration silence() {
        return bookmarkInterval.multipliedBy(3);
    }
}
