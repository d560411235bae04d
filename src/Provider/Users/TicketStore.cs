using System.Security.Claims;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RedisSessions.Diagnostics;
using RedisSessions.Redis;
using RedisSessions.Sessions;

namespace RedisSessions.Users;

/// <summary>Gives cookie schemes their <see cref="TicketStore"/>.</summary>
internal sealed class TicketStores(IOptions<TicketStoreOptions> options, IOptions<UserIndexOptions> users, IHttpContextAccessor contexts, IServiceProvider services)
{
    public void Install(string scheme, CookieAuthenticationOptions cookie)
    {
        var schemes = options.Value.Schemes;
        if (users.Value.ExcludedSchemes.Contains(scheme)
            || (schemes.Count > 0 && !schemes.Contains(scheme))
            || cookie is not { SessionStore: null, TicketDataFormat: { } format })
        {
            return;
        }

        cookie.SessionStore = new TicketStore(scheme, contexts, services);
        cookie.TicketDataFormat = new TicketReferenceFormat(scheme, format, contexts);
    }
}

/// <summary>
/// Keeps a scheme's tickets in the sessions that their sign-ins bound. The cookie holds the sign-in's number and nothing else, and a number is
/// worth something only with the session that has it: a session that ended, another browser's, or a later sign-in's answers no ticket.
/// Whose the ticket is was sealed into it, so one that was copied from another session's hash is none.
/// </summary>
internal sealed class TicketStore(string scheme, IHttpContextAccessor contexts, IServiceProvider services) : ITicketStore
{
    // What a cookie may carry instead where Redis is away at sign-in: a browser that sends much more is refused by servers until it forgets it.
    private const int MaxCarriedBytes = 8_000;

    private readonly IDataProtector _protector = services.GetRequiredService<IDataProtectionProvider>().CreateProtector("RedisSessions.Tickets.v1", scheme);

    // Asked for when needed: the store needs options itself.
    private RedisSessionStore Store => services.GetRequiredService<RedisSessionStore>();

    private UserIndexOptions Options => services.GetRequiredService<IOptions<UserIndexOptions>>().Value;

    private ILogger Logger => services.GetRequiredService<ILogger<TicketStore>>();

    private HttpContext Context => contexts.HttpContext ?? throw new InvalidOperationException("There is no request, and a ticket is kept in the session of its request.");

    public Task<string> StoreAsync(AuthenticationTicket ticket) => StoreAsync(ticket, Context, CancellationToken.None);

    public Task<string> StoreAsync(AuthenticationTicket ticket, HttpContext httpContext, CancellationToken cancellationToken) =>
        KeepAsync(key: null, ticket, httpContext, cancellationToken);

    public Task RenewAsync(string key, AuthenticationTicket ticket) => RenewAsync(key, ticket, Context, CancellationToken.None);

    public Task RenewAsync(string key, AuthenticationTicket ticket, HttpContext httpContext, CancellationToken cancellationToken) =>
        KeepAsync(key, ticket, httpContext, cancellationToken);

    public Task<AuthenticationTicket?> RetrieveAsync(string key) => RetrieveAsync(key, Context, CancellationToken.None);

    /// <returns>
    /// A ticket that <see cref="SignInTicket.IsEnded"/> for a sign-in that is over, so that its cookie is cleared where that is safe; null where
    /// that is not known.
    /// </returns>
    public async Task<AuthenticationTicket?> RetrieveAsync(string key, HttpContext httpContext, CancellationToken cancellationToken)
    {
        if (key == RequestTickets.CarriedKey)
        {
            return RequestTickets.Of(httpContext).Incoming(scheme);
        }

        try
        {
            if (Store.Find(httpContext) is { } session)
            {
                await session.LoadAsync(cancellationToken).ConfigureAwait(false);
                if (session.GetMetadata(UserFields.SignInNumber) == key && session.GetMetadata(UserFields.Ticket) is { } text && Read(text, key) is { } ticket)
                {
                    return ticket;
                }
            }

            return SignInTicket.Ended(scheme, key);
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            // Nobody knows who it is: the request is anonymous, and the cookie stays.
            RequestSignIns.Of(httpContext, scheme).IsUnverified = true;
            return null;
        }
        catch (Exception exception) when (exception is FormatException or CryptographicException)
        {
            // Its key may be missing for a moment.
            Logger.SignInNotVerified(exception);
            return null;
        }
    }

    public Task RemoveAsync(string key) => RemoveAsync(key, Context, CancellationToken.None);

    public async Task RemoveAsync(string key, HttpContext httpContext, CancellationToken cancellationToken)
    {
        try
        {
            // Sign-out ends the session itself. This is for one that goes on without the sign-in.
            if (Store.Find(httpContext) is { } session && !httpContext.Response.HasStarted)
            {
                await session.LoadAsync(cancellationToken).ConfigureAwait(false);
                if (session.GetMetadata(UserFields.SignInNumber) == key && session.GetMetadata(UserFields.Ticket) is not null)
                {
                    session.SetMetadata(UserFields.Ticket, null);
                }
            }
        }
        catch (Exception exception) when (RedisAway.Explains(exception))
        {
            // The browser's cookie goes all the same.
            Logger.TicketNotRemoved(exception);
        }
    }

    private AuthenticationTicket? Read(string text, string number)
    {
        var ticket = TicketSerializer.Default.Deserialize(_protector.Unprotect(WebEncoders.Base64UrlDecode(text)));
        return ticket is not null && ticket.AuthenticationScheme == scheme && new SignInTicket(ticket.Properties).Number == number ? ticket : null;
    }

    /// <summary>Whether a ticket is the stored one but for its times, so that the next request can make the same of that. What the application put into it is not made again.</summary>
    private bool IsLater(string stored, string number, AuthenticationTicket ticket, byte[] bytes)
    {
        try
        {
            if (Read(stored, number) is not { } before)
            {
                return false;
            }

            (before.Properties.IssuedUtc, before.Properties.ExpiresUtc) = (ticket.Properties.IssuedUtc, ticket.Properties.ExpiresUtc);
            return TicketSerializer.Default.Serialize(before).AsSpan().SequenceEqual(bytes);
        }
        catch (Exception exception) when (exception is FormatException or CryptographicException)
        {
            return false;
        }
    }

    private async Task<string> KeepAsync(string? key, AuthenticationTicket ticket, HttpContext context, CancellationToken cancellationToken)
    {
        var (signIn, bytes) = (new SignInTicket(ticket.Properties), TicketSerializer.Default.Serialize(ticket));
        Exception? failure = null;
        var isKept = false;
        if (signIn is { Number: { } number, UnboundSince: null })
        {
            try
            {
                if (Store.Find(context) is { } session)
                {
                    await session.LoadAsync(cancellationToken).ConfigureAwait(false);
                    if (session.State == SessionStateKind.Loaded && session.GetMetadata(UserFields.SignInNumber) == number)
                    {
                        var stored = session.GetMetadata(UserFields.Ticket);
                        isKept = stored is not null;
                        Action<string, string?> set = isKept && IsLater(stored!, number, ticket, bytes) ? session.NoteMetadata : session.SetMetadata;
                        set(UserFields.Ticket, WebEncoders.Base64UrlEncode(_protector.Protect(bytes)));
                        await session.CommitAsync(cancellationToken).ConfigureAwait(false);
                    }
                }

                // A session that has ended meanwhile has ended the sign-in: then the number names nothing.
                return RequestTickets.Of(context).Refer(scheme, number);
            }
            catch (Exception exception) when (RedisAway.Explains(exception))
            {
                if (isKept)
                {
                    // The ticket as it was is still there.
                    Logger.TicketNotRenewed(exception);
                    return RequestTickets.Of(context).Refer(scheme, number);
                }

                failure = exception;
            }
        }

        // As without a ticket store: the cookie carries it until it is bound.
        if (key != RequestTickets.CarriedKey)
        {
            if (failure is not null && Options.WithoutRedis == SignInWithoutRedis.Refuse)
            {
                throw failure;
            }

            if (bytes.Length > MaxCarriedBytes)
            {
                throw new InvalidOperationException("The ticket cannot be kept in its session, because that could not be stored, and is too large for a cookie.", failure);
            }
        }

        return RequestTickets.Of(context).Carry(scheme, ticket);
    }
}

/// <summary>
/// The application's format, around which a ticket goes out as what <see cref="TicketStore"/> made of it: a number, or itself. The handler
/// keeps the number that the cookie came with when somebody signs in once more, and the new sign-in has another. What comes in whole, from
/// before tickets were kept, or made while Redis was away, is handed on as if it had been in the store.
/// </summary>
internal sealed class TicketReferenceFormat(string scheme, ISecureDataFormat<AuthenticationTicket> inner, IHttpContextAccessor contexts)
    : ISecureDataFormat<AuthenticationTicket>
{
    public string Protect(AuthenticationTicket data) => Protect(data, purpose: null);

    public string Protect(AuthenticationTicket data, string? purpose) => inner.Protect(
        RequestTickets.IsReference(data) && contexts.HttpContext is { } context && RequestTickets.Of(context).Outgoing(scheme) is { } outgoing ? outgoing : data,
        purpose);

    public AuthenticationTicket? Unprotect(string? protectedText) => Unprotect(protectedText, purpose: null);

    public AuthenticationTicket? Unprotect(string? protectedText, string? purpose)
    {
        var ticket = inner.Unprotect(protectedText, purpose);
        return ticket is null || RequestTickets.IsReference(ticket) || contexts.HttpContext is not { } context
            ? ticket
            : RequestTickets.Of(context).Receive(scheme, ticket);
    }
}

/// <summary>The tickets of one request that are on their way in or out, by scheme, as one of its features.</summary>
internal sealed class RequestTickets
{
    /// <summary>In place of a number: the cookie carries the ticket itself.</summary>
    public const string CarriedKey = "carried";

    // What the cookie handler looks for.
    private const string ReferenceClaim = "Microsoft.AspNetCore.Authentication.Cookies-SessionId";

    private readonly Dictionary<string, AuthenticationTicket> _incoming = new(1, StringComparer.Ordinal);
    private readonly Dictionary<string, AuthenticationTicket> _outgoing = new(1, StringComparer.Ordinal);

    public static RequestTickets Of(HttpContext context)
    {
        if (context.Features.Get<RequestTickets>() is not { } tickets)
        {
            context.Features.Set(tickets = new RequestTickets());
        }

        return tickets;
    }

    public static bool IsReference(AuthenticationTicket ticket) => ticket.Principal.HasClaim(static claim => claim.Type == ReferenceClaim);

    public AuthenticationTicket? Incoming(string scheme) => _incoming.GetValueOrDefault(scheme);

    public AuthenticationTicket? Outgoing(string scheme) => _outgoing.GetValueOrDefault(scheme);

    public AuthenticationTicket Receive(string scheme, AuthenticationTicket ticket)
    {
        _incoming[scheme] = ticket;
        return Reference(scheme, CarriedKey);
    }

    public string Refer(string scheme, string number)
    {
        _outgoing[scheme] = Reference(scheme, number);
        return number;
    }

    public string Carry(string scheme, AuthenticationTicket ticket)
    {
        _outgoing[scheme] = ticket;
        return CarriedKey;
    }

    private static AuthenticationTicket Reference(string scheme, string key) =>
        new(new ClaimsPrincipal(new ClaimsIdentity([new Claim(ReferenceClaim, key)])), properties: null, scheme);
}
