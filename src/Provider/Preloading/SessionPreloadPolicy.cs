using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Matching;
using Microsoft.AspNetCore.StaticAssets;
using Microsoft.Extensions.Options;
using RedisSessions.Sessions;

namespace RedisSessions.Preloading;

/// <summary>
/// Awaits the session's load before the matched endpoint runs, so that code which reads the session synchronously, as
/// every tutorial does, finds it in memory and blocks no thread.
/// <para>
/// Routing offers no hook between matching and running an endpoint, but a matcher policy may replace the endpoint it
/// matched. The replacement is the same route endpoint in all that others look at (pattern, order, metadata, name); only
/// its delegate waits first, and gives add-ons their turn between authentication and the endpoint. It runs after every other policy, on what they left, and is made once per endpoint.
/// </para>
/// </summary>
internal sealed class SessionPreloadPolicy(IOptions<RedisSessionOptions> options, IEnumerable<SessionAddOn> addOns) : MatcherPolicy, IEndpointSelectorPolicy
{
    private readonly ConditionalWeakTable<Endpoint, Endpoint> _wrapped = [];
    private readonly SessionAddOn[] _addOns = [.. addOns];

    // The last to choose: others may still replace candidates (dynamic controllers) or drop them (host, method).
    public override int Order => int.MaxValue - 100;

    public bool AppliesToEndpoints(IReadOnlyList<Endpoint> endpoints)
    {
        if (!options.Value.PreloadSession && _addOns.Length == 0)
        {
            return false;
        }

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

        var preload = Preload(endpoint.RequestDelegate!);
        return endpoint is RouteEndpoint route
            ? new RouteEndpoint(preload, route.RoutePattern, route.Order, route.Metadata, route.DisplayName)
            : new Endpoint(preload, endpoint.Metadata, endpoint.DisplayName);
    }

    // A dynamic controller route ends in a plain endpoint; a type of somebody's own is left as it is.
    private bool ShouldWrap(Endpoint endpoint) =>
        endpoint.RequestDelegate is not null
        && (endpoint is RouteEndpoint || endpoint.GetType() == typeof(Endpoint))
        && (_addOns.Length > 0 || endpoint.Metadata.GetMetadata<SessionPreloadAttribute>() is not { Enabled: false })
        && endpoint.Metadata.GetMetadata<StaticAssetDescriptor>() is null;

    private RequestDelegate Preload(RequestDelegate next)
    {
        return _addOns.Length == 0
            ? context => context.Features.Get<ISessionFeature>()?.Session is RedisSession { IsLoaded: false } session
                ? LoadFirst(session, context)
                : next(context)
            : context => context.Features.Get<ISessionFeature>()?.Session is RedisSession session
                ? LoadAndAskAddOns(session, context)
                : next(context);

        async Task LoadFirst(RedisSession session, HttpContext context)
        {
            await session.PreloadAsync().ConfigureAwait(false);
            await next(context).ConfigureAwait(false);
        }

        async Task LoadAndAskAddOns(RedisSession session, HttpContext context)
        {
            if (!session.IsLoaded)
            {
                await session.PreloadAsync().ConfigureAwait(false);
            }

            if (session.IsLoaded)
            {
                foreach (var addOn in _addOns)
                {
                    var asked = addOn.BeforeEndpointAsync(session, context);
                    if (!asked.IsCompletedSuccessfully)
                    {
                        await asked.ConfigureAwait(false);
                    }
                }
            }

            await next(context).ConfigureAwait(false);
        }
    }
}
