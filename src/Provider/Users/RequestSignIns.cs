using Microsoft.AspNetCore.Http;

namespace RedisSessions.Users;

/// <summary>What is known of one request's cookie sign-ins, as one of its features. Nearly always there is one.</summary>
internal sealed class RequestSignIns
{
    private readonly List<RequestSignIn> _all = new(1);

    /// <summary>
    /// Whether some principal could not be verified, because Redis is away: it may be served, but whatever this request does binds,
    /// creates and renews nothing.
    /// </summary>
    public bool HasUnverified
    {
        get
        {
            foreach (var signIn in _all)
            {
                if (signIn.IsUnverified)
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>Whether one of them is of a ticket with this number.</summary>
    public bool HasNumber(string number)
    {
        foreach (var signIn in _all)
        {
            if (signIn.Number == number)
            {
                return true;
            }
        }

        return false;
    }

    public static RequestSignIns? Find(HttpContext context) => context.Features.Get<RequestSignIns>();

    /// <summary>A scheme's sign-in; null if the request was not asked for one.</summary>
    public RequestSignIn? Find(string scheme)
    {
        foreach (var signIn in _all)
        {
            if (signIn.Scheme == scheme)
            {
                return signIn;
            }
        }

        return null;
    }

    public static RequestSignIn Of(HttpContext context, string scheme)
    {
        if (Find(context) is not { } signIns)
        {
            context.Features.Set(signIns = new RequestSignIns());
        }

        if (signIns.Find(scheme) is not { } signIn)
        {
            signIns._all.Add(signIn = new RequestSignIn(scheme));
        }

        return signIn;
    }
}

/// <summary>A cookie's sign-in that ends with its session, and so is bound by nothing but itself.</summary>
internal sealed class RequestSignIn(string scheme)
{
    public string Scheme { get; } = scheme;

    /// <summary>It could not be verified, because Redis is away.</summary>
    public bool IsUnverified { get; set; }

    /// <summary>The number of its ticket, as far as that was looked at.</summary>
    public string? Number { get; set; }

    /// <summary>Why its session had ended; null if it had not, or nobody knows.</summary>
    public SessionEndReason? EndReason { get; set; }

    /// <summary>The ticket slides in this request.</summary>
    public bool IsRenewed { get; set; }
}
