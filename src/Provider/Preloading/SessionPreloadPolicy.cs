using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Matching;
using Microsoft.Extensions.Options;
using RedisSessions.Sessions;

namespace RedisSessions.Preloading;

/// <summary>
/// Awaits the session's load before the matched endpoint runs, so that code which reads the session synchronously, as
/// every tutorial does, finds it in memory and blocks no thread.
/// <para>
/// Routing offers no hook between matching and running an endpoint, but a matcher policy may replace the endpoint it
/// matched. The replacement is the same route endpoint in all that others look at (pattern, order, metadata, name); only
/// its delegate waits first, for the request's turn where the endpoint is exclusive, and gives add-ons theirs between authentication and the endpoint. It runs after every other policy, on what they left, and is made once per endpoint.
/// </para>
/// </summary>
internal sealed class SessionPreloadPolicy(IOptions<RedisSessionOptions> options, SessionAddOns addOns) : MatcherPolicy, IEndpointSelectorPolicy
{
    private readonly ConditionalWeakTable<Endpoint, Endpoint> _wrapped = [];

    // The last to choose: others may still replace candidates (dynamic controllers) or drop them (host, method).
    public override int Order => int.MaxValue - 100;

    public bool AppliesToEndpoints(IReadOnlyList<Endpoint> endpoints)
    {
        foreach (var endpoint in endpoints)
        {
            // A dynamic endpoint stands for others that are not known yet.
            if (ShouldWrap(endpoint) || endpoint.Metadata.GetMetadata<IDynamicEndpointMetadata>() is { IsDynamic: true })
            {
                return true;
            }
        }

        return false;
    }

    public Task ApplyAsync(HttpContext httpContext, CandidateSet candidates)
    {
        for (var i = 0; i < candidates.Count; i++)
        {
            if (!candidates.IsValidCandidate(i))
            {
                continue;
            }

            ref var candidate = ref candidates[i];
            var wrapped = _wrapped.GetValue(candidate.Endpoint, Wrap);
            if (!ReferenceEquals(wrapped, candidate.Endpoint))
            {
                candidates.ReplaceEndpoint(i, wrapped, candidate.Values);
            }
        }

        return Task.CompletedTask;
    }

    private Endpoint Wrap(Endpoint endpoint)
    {
        if (!ShouldWrap(endpoint))
        {
            return endpoint;
        }

        var preload = Preload(endpoint);
        return endpoint is RouteEndpoint route
            ? new RouteEndpoint(preload, route.RoutePattern, route.Order, route.Metadata, route.DisplayName)
            : new Endpoint(preload, endpoint.Metadata, endpoint.DisplayName);
    }

    // A dynamic controller route ends in a plain endpoint; a type of somebody's own is left as it is.
    private bool ShouldWrap(Endpoint endpoint) =>
        endpoint.RequestDelegate is not null
        && (endpoint is RouteEndpoint || endpoint.GetType() == typeof(Endpoint))
        && (addOns.NeedEndpointTurn || Waits(endpoint) || ExclusiveEndpoint.Of(endpoint, options.Value.Exclusive) is not null)
        && SessionPreload.MayRead(endpoint);

    private bool Waits(Endpoint endpoint) =>
        (options.Value.PreloadSession && !SessionPreload.IsOff(endpoint)) || addOns.NeedSessionAt(endpoint);

    private RequestDelegate Preload(Endpoint endpoint)
    {
        var (next, waits) = (endpoint.RequestDelegate!, Waits(endpoint));
        if (ExclusiveEndpoint.Of(endpoint, options.Value.Exclusive) is { } exclusive)
        {
            return context => TakeTurnAsync(exclusive, ExclusiveEndpoint.SessionOf(context), context);
        }

        return context => context.Features.Get<ISessionFeature>()?.Session is RedisSession session && (addOns.NeedEndpointTurn || (waits && !session.IsLoaded))
            ? PrepareAsync(session, context)
            : next(context);

        async Task TakeTurnAsync(ExclusiveEndpoint exclusive, RedisSession session, HttpContext context)
        {
            if (!await exclusive.EnterAsync(session, context).ConfigureAwait(false))
            {
                return;
            }

            try
            {
                await PrepareAsync(session, context).ConfigureAwait(false);
            }
            catch
            {
                session.FailTurn();
                throw;
            }
        }

        async Task PrepareAsync(RedisSession session, HttpContext context)
        {
            if (waits && !session.IsLoaded)
            {
                await session.PreloadAsync().ConfigureAwait(false);
            }

            addOns.EndpointBegins(session, context);

            // An endpoint that does not wait gives add-ons a turn only where somebody else has waited.
            if (session.IsLoaded)
            {
                await addOns.BeforeEndpointAsync(session, context).ConfigureAwait(false);
            }

            await next(context).ConfigureAwait(false);
        }
    }
}
