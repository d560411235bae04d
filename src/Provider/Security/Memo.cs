using System.Collections.Concurrent;

namespace RedisSessions.Security;

/// <summary>
/// Remembers what follows from a text that comes with nearly every request, such as a browser's name for itself. Bounded: who sends
/// ever new texts, or long ones, only has them worked out each time.
/// </summary>
internal sealed class Memo(Func<string, string> workOut)
{
    private const int MostTexts = 1_000;
    private const int LongestText = 512;

    private readonly ConcurrentDictionary<string, string> _known = new(StringComparer.Ordinal);
    private int _count;

    public string Of(string text)
    {
        if (_known.TryGetValue(text, out var known))
        {
            return known;
        }

        var result = workOut(text);
        if (text.Length <= LongestText && _known.TryAdd(text, result) && Interlocked.Increment(ref _count) > MostTexts)
        {
            // Its own count, for the dictionary's takes every lock.
            Interlocked.Exchange(ref _count, 0);
            _known.Clear();
        }

        return result;
    }
}
