using System.Globalization;
using RedisSessions.Storage;
using RedisSessions.Storage.Scripts;

namespace RedisSessions.Sessions;

/// <summary>
/// A session on its way to another id.
/// <para>
/// Regeneration has to move a hash to another key, and in a cluster that is another slot, so no single step can do it. The
/// order makes every intermediate state harmless: (1) a commit writes the data under the new id, which nobody knows yet; (2) when the
/// response starts, the old hash is deleted in one step with a check that nothing was committed to it since it was read, else
/// what changed is carried over and the step is tried again; (3) the cookie goes out with that very response. Until then the
/// old session is as it was, so whatever fails leaves the browser's cookie naming a session that exists; what was written
/// under the new id is nobody's, and expires by itself. A commit that Redis acknowledged is never lost.
/// </para>
/// </summary>
internal sealed class SessionMove(SessionIdentity from, SessionSnapshot departed)
{
    public SessionIdentity From { get; } = from;

    /// <summary>What there was under the old id.</summary>
    public SessionSnapshot Departed { get; } = departed;

    /// <summary>What the request changed since: it wins over what others changed under the old id.</summary>
    public SessionDelta Own { get; } = new();

    /// <summary>Numbers that the request added to since, by field: what others added under the old id is added, too.</summary>
    public HashSet<string> Counted { get; } = [];

    /// <summary>Whether the data is there under the new id.</summary>
    public bool IsWritten { get; set; }

    /// <summary>Whether others changed it under the old id, so that the new hash holds more than this request knows.</summary>
    public bool HasCarriedOver { get; private set; }

    /// <summary>
    /// Whether credentials were checked since: then the session under the new id stands by itself, and does not end because
    /// the one before it did.
    /// </summary>
    private bool IsSignedIn => Own.Metadata.TryGetValue(FieldNames.SignedInAt, out var signedIn)
        && signedIn is not null && signedIn != Departed.GetMetadata(FieldNames.SignedInAt);

    /// <summary>Whether the session may go on without the old hash.</summary>
    public async Task<bool> MayGoOnAsync(SessionHash hash) => IsSignedIn || await hash.IsThereAsync(From.Key, Departed).ConfigureAwait(false);

    /// <summary>The second step.</summary>
    /// <param name="hash">Where sessions are.</param>
    /// <param name="to">The new id.</param>
    /// <param name="idle">The idle timeout of a session that has none of its own.</param>
    /// <param name="turn">The request's turn under the old id; null if it has none.</param>
    /// <exception cref="ExclusiveSessionLostException">Another request has had one since.</exception>
    /// <returns>False if somebody ended the session under its old id: then it must not live on under the new one.</returns>
    public async Task<bool> DepartAsync(SessionHash hash, SessionIdentity to, TimeSpan idle, TurnFence? turn)
    {
        var known = Departed;
        while (true)
        {
            switch (await hash.DeleteAtVersionAsync(From.Id, known.Version, to.Id, turn).ConfigureAwait(false))
            {
                case DeleteReply.Deleted:
                    return true;
                case DeleteReply.Missing:
                    return IsSignedIn;
                case DeleteReply.TurnLost:
                    throw new ExclusiveSessionLostException();
            }

            var read = await hash.ReadAsync(From.Key).ConfigureAwait(false);
            if (read.IsForged)
            {
                return false;
            }

            if (read.Session is { } newer)
            {
                if (newer.CreatedAt != Departed.CreatedAt)
                {
                    // Somebody ended the session, and another began under its old id: that one stays as it is.
                    return IsSignedIn;
                }

                HasCarriedOver = true;
                var others = SessionDelta.Between(known, newer, Own);
                var added = Own.IsCleared ? [] : TakeAdded(others, known);
                await hash.CommitAsync(new CommitRequest(to.Key, others, Expected.Session(Departed), idle)).ConfigureAwait(false);
                foreach (var (name, by) in added)
                {
                    await hash.IncrementAsync(to.Key, name, by, Departed, idle).ConfigureAwait(false);
                }

                known = newer;
            }
        }
    }

    /// <summary>Takes from what others changed the numbers that this request counted, too; what is no number gives way to its own.</summary>
    private List<(string Name, long By)> TakeAdded(SessionDelta others, SessionSnapshot known)
    {
        var added = new List<(string, long)>();
        foreach (var name in Counted)
        {
            if (others.TryTake(name, out var value) && TryParse(value, out var now) && TryParse(known.Fields.TryGet(name, out var old) ? old : "0"u8, out var before))
            {
                added.Add((name, now - before));
            }
        }

        return added;

        static bool TryParse(ReadOnlySpan<byte> text, out long number) => long.TryParse(text, CultureInfo.InvariantCulture, out number);
    }
}
