namespace RedisSessions.Caching;

/// <summary>
/// How each key is best read, as this server saw it last. Only guesses, for keys share places and other servers write entries:
/// every way of reading is right for every entry, and notices where another would have been better.
/// </summary>
internal sealed class ReadingHints
{
    // Bytes above which a value is better not passed through Lua, whose collector then does more than the further commands
    // that it takes without: measured with `benchmarks -- cache`.
    public const int LargeValue = 5_000;

    private const int Places = 4_096;

    private readonly Reading[] _places = new Reading[Places];

    public Reading this[string key] => PlaceOf(key);

    /// <summary>Takes note of an entry: its length, null for none, and whether it slides.</summary>
    public void Note(string key, long? length, bool slides)
    {
        if (length is { } known)
        {
            var reading = !slides ? Reading.Plain : known > LargeValue ? Reading.Pair : Reading.Script;
            ref var place = ref PlaceOf(key);
            if (place != reading)
            {
                place = reading;
            }
        }
    }

    private ref Reading PlaceOf(string key) => ref _places[key.GetHashCode(StringComparison.Ordinal) & (Places - 1)];
}

internal enum Reading : byte
{
    /// <summary>The value by a command, the slide by a script sent with it: for large values, and where nothing is known.</summary>
    Pair,

    /// <summary>Both by one script: for small values that slide.</summary>
    Script,

    /// <summary>The value alone: for entries that do not slide. One that does after all is slid once its reply tells.</summary>
    Plain,
}
