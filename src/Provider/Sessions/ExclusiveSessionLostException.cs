namespace RedisSessions;

/// <summary>
/// The request had its session for itself (<see cref="ExclusiveSessionAttribute"/>), lost that, because its server could not renew the lease in time, and another
/// request has had the session since. What this request changed was not written, none of it: it would have been written over what the other did.
/// </summary>
public sealed class ExclusiveSessionLostException : Exception
{
    internal ExclusiveSessionLostException()
        : base("The request had its session for itself, but its lease was over before it committed, and another request has had the session since. Nothing of its changes was written. Make LeaseMilliseconds longer, if its server is that slow.")
    {
    }
}
