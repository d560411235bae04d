using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using RedisSessions.Storage;

namespace RedisSessions.Lifecycle;

/// <summary>
/// One session from its creation to its end, whatever ids it has on the way: the id under which it was created, and when. A browser that comes back
/// after the end gives a later session the same id, but not the same creation. Both are in the hash and move with it, and no request that is late can
/// change either.
/// </summary>
/// <param name="FirstId">The id under which it was created.</param>
/// <param name="CreatedAt">When, Unix milliseconds.</param>
internal readonly record struct SessionLife(Guid FirstId, long CreatedAt)
{
    public const int Shards = 16;

    public int Shard
    {
        get
        {
            Span<byte> bytes = stackalloc byte[16];
            FirstId.TryWriteBytes(bytes);
            return bytes[0] % Shards;
        }
    }

    /// <param name="id">Its present id.</param>
    /// <param name="firstId">What its hash says it was created under; null for under this.</param>
    /// <param name="createdAt">When it was created, Unix milliseconds.</param>
    public static SessionLife Of(Guid id, string? firstId, long createdAt) => new(SessionId.TryParse(firstId, out var first) ? first : id, createdAt);

    public static bool TryParse([NotNullWhen(true)] string? text, out SessionLife life)
    {
        life = default;
        if (text?.IndexOf(':') is not (> 0 and var at)
            || !SessionId.TryParse(text[..at], out var id)
            || !long.TryParse(text.AsSpan(at + 1), CultureInfo.InvariantCulture, out var createdAt))
        {
            return false;
        }

        life = new(id, createdAt);
        return true;
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{FirstId}:{CreatedAt}");
}
