using System.Globalization;
using System.Net;
using RedisSessions.Tests.Model;
using RedisSessions.Tests.Users;

namespace RedisSessions.Tests.Attacks.Model;

/// <summary>Takes one history on a fleet and in the model at once.</summary>
internal sealed class SignInRun
{
    private const int MostSwept = 8;
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(5);
    private readonly SignInFleet _fleet;
    private readonly SignInModel _model = new();
    private readonly string[] _users;
    private readonly Browser[] _browsers;

    /// <summary>What each honest browser is signed in as.</summary>
    private readonly SignIn?[] _signedIn = new SignIn?[3];

    /// <summary>Every pair of cookies that anybody ever held.</summary>
    private readonly List<(string? Ticket, string? Session)> _pairs = [];
    private int _written;

    public SignInRun(SignInFleet fleet)
    {
        _fleet = fleet;
        _users = fleet.NewUsers();
        _browsers = [fleet.NewBrowser(), fleet.NewBrowser(), fleet.NewBrowser()];
    }

    private DateTimeOffset Now => _fleet.Clock.GetUtcNow();

    /// <returns>Where library and model differ; null if they agree.</returns>
    public async Task<string?> TakeAsync(IReadOnlyList<SignInStep> history)
    {
        var number = 0;
        try
        {
            foreach (var step in history)
            {
                number++;
                await TakeAsync(step);
            }

            // Whatever anybody ever held, in the end, on either server.
            var count = Math.Min(_pairs.Count, MostSwept);
            for (var age = 0; age < count; age++)
            {
                number++;
                await TakeAsync(new SignInStep(SignInAct.See, SignInStep.Replay, 0) { Server = age % 2, TicketAge = age, SessionAge = age });
                await TakeAsync(new SignInStep(SignInAct.See, SignInStep.Replay, 0) { Server = age % 2, TicketAge = age, SessionAge = (age + 1) % count });
            }

            return null;
        }
        catch (DifferenceException difference)
        {
            return $"step {number}: {difference.Message}";
        }
        catch (Exception exception)
        {
            return $"step {number}: {exception}";
        }
        finally
        {
            await _fleet.ForgetUsersAsync();
        }
    }

    private async Task TakeAsync(SignInStep step)
    {
        // No two moments are the same.
        _fleet.Clock.Advance(TimeSpan.FromMilliseconds(1));
        if (step.Act == SignInAct.Pass)
        {
            await PassAsync(step.Span);
        }
        else if (!step.IsRequest)
        {
            await RevokeAsync(step.Act, step.Number, step.Server);
            await EndForgottenAsync();
        }
        else
        {
            await RequestAsync(step);
        }
    }

    private async Task PassAsync(TimeSpan span)
    {
        _fleet.Clock.Advance(span);
        foreach (var id in _model.Expire(Now))
        {
            await _fleet.ExpireAsync(id);
        }

        await _fleet.SettleAsync();
    }

    private async Task RevokeAsync(SignInAct act, int number, int server)
    {
        var users = _fleet.Servers[server].Users;
        var user = _users[number % 2];
        var bound = _model.Sessions.Where(pair => pair.Value.SignIn is not null).OrderBy(pair => pair.Key).ToArray();
        var (id, chosen) = bound.Length == 0 ? default : bound[number / 2 % bound.Length];
        switch (act)
        {
            case SignInAct.RevokeOne when chosen is not null:
                if (await users.RevokeAsync(chosen.SignIn!.User, id.ToString()) == RevokeResult.Revoked)
                {
                    _model.Remove(id, "revoked");
                }
                else if ((await _fleet.ReadAsync(id)).Count > 0)
                {
                    throw new DifferenceException($"session {id} is there, and cannot be revoked");
                }

                break;
            case SignInAct.RevokeOthers when chosen is not null:
                await users.RevokeAllAsync(chosen.SignIn!.User, id.ToString());
                _model.RevokeAll(chosen.SignIn.User, chosen.SignIn, "others were revoked", Now);
                break;
            case SignInAct.RevokeAll:
                await users.RevokeAllAsync(user);
                _model.RevokeAll(user, null, "all were revoked", Now);
                break;
            case SignInAct.RevokeEveryone:
                await users.RevokeEveryoneAsync();
                foreach (var one in _users)
                {
                    _model.RevokeAll(one, null, "everyone was revoked", Now);
                }

                break;
        }
    }

    private async Task RequestAsync(SignInStep step)
    {
        var browser = step.IsReplay ? Thief(step) : _browsers[step.Who];
        browser.Server = _fleet.Servers[step.Server].Site.Server.CreateHandler();
        browser.Headers["User-Agent"] = step.IsOtherAgent ? AttackAgents.Other : AttackAgents.Usual;
        var (ticket, id) = CookiesOf(browser);
        var sight = _model.Look(ticket, id, step.IsOtherAgent, Now);
        if (!step.IsReplay && _signedIn[step.Who] is { } signIn && !sight.IsHonoured)
        {
            if (ReasonOf(step.Who, signIn, ticket) is null)
            {
                throw new DifferenceException("an honest browser is signed out without a reason");
            }

            _signedIn[step.Who] = null;
        }

        var request = new Request(step, browser, ticket, id, sight, _users[step.Number % 2], $"w{++_written}") { BeganAt = Now };
        if (step.Trouble == Trouble.None && ticket?.UnboundSince is null)
        {
            var (status, body) = await browser.TryAsync(request.Path);
            Record(browser);
            if (status != HttpStatusCode.OK)
            {
                throw new DifferenceException($"answers {(int)status}: {body}");
            }

            Compare(sight, Seen.Of(body));
            Apply(request, Seen.Of(body));
        }
        else
        {
            await InTroubleAsync(request);
        }

        if (!step.IsReplay)
        {
            Note(step, browser);
        }
    }

    private Browser Thief(SignInStep step)
    {
        var thief = _fleet.NewBrowser();
        if (At(step.TicketAge).Ticket is { } ticket)
        {
            thief.SetCookie(SignInSite.AuthCookie, ticket);
        }

        if (At(step.SessionAge).Session is { } session)
        {
            thief.SetCookie(Browser.SessionCookie, session);
        }

        return thief;

        (string? Ticket, string? Session) At(int age) => age < 0 || _pairs.Count == 0 ? default : _pairs[_pairs.Count - 1 - (age % _pairs.Count)];
    }

    private (Ticket? Ticket, Guid? Id) CookiesOf(Browser browser) =>
        (_fleet.TicketOf(browser.Cookies.GetValueOrDefault(SignInSite.AuthCookie)), _fleet.IdOf(browser.Cookies.GetValueOrDefault(Browser.SessionCookie)));

    private void Record(Browser browser)
    {
        var pair = (browser.Cookies.GetValueOrDefault(SignInSite.AuthCookie), browser.Cookies.GetValueOrDefault(Browser.SessionCookie));
        if (pair != (null, null) && !_pairs.Contains(pair))
        {
            _pairs.Add(pair);
        }
    }

    /// <summary>Every reason for which an honest browser may be signed out.</summary>
    private string? ReasonOf(int who, SignIn signIn, Ticket? ticket) =>
        signIn.Ended
        ?? (signIn.Holder != who ? "somebody with its cookies went on to a new id" : null)
        ?? (ticket?.Expires <= Now ? "its ticket expired" : null)
        // Limit, docs/users.md: it is bound once, to whoever shows it first.
        ?? (ticket?.UnboundSince is not null ? "it signed in while Redis was away" : null);

    private static void Compare(Sight sight, Seen seen)
    {
        if (seen.Name != sight.Name)
        {
            throw new DifferenceException(sight.Name.Length == 0 ? $"{seen.Name} is honoured, and should be nobody" : $"is {seen.Name}, should be {sight.Name}");
        }

        if (seen.Owner != sight.Owner || seen.Data != sight.Data)
        {
            throw new DifferenceException($"the session reads {seen.Owner}:{seen.Data}, should read {sight.Owner}:{sight.Data}");
        }
    }

    /// <summary>What the page did, where nothing came in between.</summary>
    private void Apply(Request request, Seen seen)
    {
        var (step, sight, id) = (request.Step, request.Sight, request.Id);
        var (ticket, newId) = CookiesOf(request.Browser);
        var session = sight.Session;
        switch (step.Act)
        {
            case SignInAct.Write when session is not null:
                session.Data = request.Value;
                break;
            case SignInAct.Write:
                _model.Sessions[Id()] = SignInModel.NewSession(Now) with { Data = request.Value, IsOtherAgent = step.IsOtherAgent };
                break;
            case SignInAct.SignIn:
                var isSame = session?.SignIn is null || session.SignIn.User == request.User;
                if (session is not null)
                {
                    _model.Remove(id!.Value, "somebody signed in over it");
                }

                var number = ticket?.Number ?? throw new DifferenceException("signing in gives no ticket with a number");
                session = (isSame ? session : null) ?? SignInModel.NewSession(Now);
                _model.Sessions[Id()] = session with
                {
                    SignIn = _model.Begin(number, request.User, seen.Ticks, step.Who),
                    Number = number,
                    Ends = ticket.Expires,
                    SeenAt = Now,
                    Idle = step.IsRemembered ? SignInModel.Remembered : session.Idle,
                    IsOtherAgent = step.IsOtherAgent,
                };
                return;
            case SignInAct.SignOut when session?.SignIn is not null:
                _model.Remove(id!.Value, "signed out");
                return;
            case SignInAct.Regenerate when session is not null:
                Move();
                break;
            case SignInAct.Refresh when sight.IsHonoured:
                Move();
                session!.Number = ticket?.Number ?? throw new DifferenceException("a ticket that is written again has no number");
                _model.SignIns[session.Number] = session.SignIn!;
                session.Ends = ticket.Expires;
                break;
            case SignInAct.ChangePassword:
                if (session is not null)
                {
                    Move();
                }

                if (session?.SignIn is { } signIn)
                {
                    _model.RevokeAll(signIn.User, signIn, "the password was changed elsewhere", Now);
                }

                break;
        }

        if (sight.IsHonoured && session!.Number is not null && step.Act != SignInAct.SignOut)
        {
            if (ticket?.Number != session.Number)
            {
                throw new DifferenceException("the answer takes the ticket from a browser that is signed in");
            }

            // It may have slid.
            session.Ends = session.Ends > ticket.Expires ? session.Ends : ticket.Expires;
        }

        Guid Id() => newId ?? throw new DifferenceException("there is no session cookie");

        void Move()
        {
            if (Id() == id)
            {
                throw new DifferenceException("the id stays as it was");
            }

            _model.Sessions.Remove(id!.Value);
            _model.Sessions[Id()] = session!;
            session!.IsOtherAgent = step.IsOtherAgent;
            if (session.SignIn is { } moved)
            {
                moved.Holder = step.Who;
            }
        }
    }

    /// <summary>A browser knows what it is signed in as by its answers.</summary>
    private void Note(SignInStep step, Browser browser)
    {
        var (ticket, _) = CookiesOf(browser);
        if (step.Act == SignInAct.SignOut)
        {
            _signedIn[step.Who] = null;
        }
        else if (step.Act is SignInAct.SignIn && ticket?.Number is { } number && _model.SignIns.TryGetValue(number, out var signIn))
        {
            _signedIn[step.Who] = signIn;
        }
    }

    private async Task InTroubleAsync(Request request)
    {
        var (step, server) = (request.Step, _fleet.Servers[request.Step.Server]);
        var wasEnded = request.Ticket?.Number is { } number && _model.SignIns.TryGetValue(number, out var known) && known.Ended is not null;
        List<Guid> ids = [];
        (HttpStatusCode Status, string Body) answer;
        switch (step.Trouble)
        {
            case Trouble.Held:
                var gate = new Gate(server.Proxy, step.At);
                var held = request.Browser.TryAsync(request.Path);
                await Task.WhenAny(gate.Reached, held);
                _fleet.Clock.Advance(TimeSpan.FromMilliseconds(1));
                try
                {
                    await MeanwhileAsync(request, ids);
                }
                finally
                {
                    // Whatever differs, the next history has this server, too.
                    server.Proxy.BeforeCommand = null;
                    gate.Open();
                }

                answer = await held;
                break;
            case Trouble.SlowValidation or Trouble.SlowRequest:
                answer = await SlowAsync(request, server);
                break;
            default:
                server.Proxy.LoseReply(step.Trouble == Trouble.LostReply ? step.At + 1 : 0);
                answer = await request.Browser.TryAsync(request.Path);
                server.Proxy.LoseReply(0);
                break;
        }

        await _fleet.SettleAsync();
        Record(request.Browser);
        var seen = answer.Status == HttpStatusCode.OK ? Seen.Of(answer.Body) : null;
        if (seen is not null)
        {
            CompareInTrouble(request, seen, wasEnded);
        }

        await AdoptAsync(request, seen, ids);
    }

    private async Task<(HttpStatusCode Status, string Body)> SlowAsync(Request request, SignInServer server)
    {
        const int mostTimeouts = 4;
        var gate = new Gate(server.Proxy);
        var isOpen = false;
        void Open()
        {
            server.Proxy.BeforeCommand = null;
            gate.Open();
            isOpen = true;
        }

        server.Validated = request.Step.Trouble == Trouble.SlowValidation ? Open : null;
        var pending = request.Browser.TryAsync(request.Path);
        for (var timeouts = 0; timeouts < mostTimeouts && !isOpen; timeouts++)
        {
            await Task.WhenAny(gate.Reached, pending);
            if (pending.IsCompleted)
            {
                break;
            }

            _fleet.Clock.Advance(SignInFleet.IOTimeout + TimeSpan.FromSeconds(1));
            for (var i = 0; i < 20 && !pending.IsCompleted && !isOpen; i++)
            {
                await Task.Delay(1);
            }
        }

        server.Validated = null;
        Open();
        return await pending;
    }

    private async Task MeanwhileAsync(Request request, List<Guid> ids)
    {
        var (step, other) = (request.Step, 1 - request.Step.Server);
        if (step.Meanwhile >= SignInAct.RevokeOne)
        {
            await RevokeAsync(step.Meanwhile, step.Number, other);
            return;
        }

        // Somebody with the same cookies.
        var copy = _fleet.NewBrowser();
        foreach (var (name, value) in request.Before)
        {
            copy.SetCookie(name, value);
        }

        copy.Headers["User-Agent"] = request.Browser.Headers["User-Agent"];
        copy.Server = _fleet.Servers[other].Site.Server.CreateHandler();
        var session = request.Sight.Session?.SignIn is not null && (await _fleet.ReadAsync(request.Id!.Value)).ContainsKey("@n") ? request.Sight.Session : null;
        var (status, body) = await copy.TryAsync($"/do/{step.Meanwhile}/{request.Value}");
        if (status != HttpStatusCode.OK)
        {
            throw new DifferenceException($"the copy is answered {(int)status}: {body}");
        }

        Record(copy);
        if (CookiesOf(copy).Id is { } id)
        {
            ids.Add(id);
        }

        if (session is null)
        {
            return;
        }

        switch (step.Meanwhile)
        {
            case SignInAct.SignOut:
                session.SignIn!.End("a copy signed out");
                break;
            case SignInAct.Regenerate:
                session.SignIn!.Holder = SignInStep.Replay;
                break;
            case SignInAct.ChangePassword:
                session.SignIn!.Holder = SignInStep.Replay;
                request.IsSpared = session.SignIn.User == request.User;
                _model.RevokeAll(session.SignIn.User, session.SignIn, "the password was changed elsewhere", Now);
                break;
        }
    }

    private void CompareInTrouble(Request request, Seen seen, bool wasEnded)
    {
        var (ticket, sight) = (request.Ticket, request.Sight);
        if (seen.Name.Length > 0 && seen.Name != sight.Name)
        {
            // Limit, docs/users.md: a principal that cannot be verified is served (SignInWithoutRedis.Keep).
            var isUnverified = request.Step.Trouble is Trouble.SlowValidation or Trouble.SlowRequest or Trouble.LostReply;

            // Limit, docs/users.md: a sign-in made while Redis was away is bound later, once.
            var isBoundNow = ticket?.UnboundSince is not null && !wasEnded;
            if (seen.Name != ticket?.User || ticket.Expires < request.BeganAt || !(isUnverified || isBoundNow))
            {
                throw new DifferenceException($"{seen.Name} is honoured, and should be {(sight.Name.Length == 0 ? "nobody" : sight.Name)}");
            }
        }

        if (seen.Owner.Length > 0 && seen.Owner != sight.Owner && ticket?.UnboundSince is null)
        {
            throw new DifferenceException($"the session is {seen.Owner}'s, should be {sight.Owner}'s");
        }
    }

    /// <summary>
    /// What became of it is seen in Redis, within what must be: nothing of a sign-in that is over, nothing of a sign-in that nobody made,
    /// and no sign-in is over that had no reason to be.
    /// </summary>
    private async Task AdoptAsync(Request request, Seen? seen, List<Guid> ids)
    {
        var (ticket, newId) = CookiesOf(request.Browser);
        var alive = _model.Sessions.Where(pair => pair.Value.SignIn is { Ended: null }).ToDictionary(pair => pair.Key, pair => pair.Value);
        HashSet<Guid> all = [.. ids, .. _model.Sessions.Keys];
        foreach (var id in new[] { request.Id, newId })
        {
            if (id is { } one)
            {
                all.Add(one);
            }
        }

        if (ticket is { Number: { } written } && !_model.SignIns.ContainsKey(written))
        {
            if (request.Step.Act == SignInAct.SignIn)
            {
                Begin(written, ticket.User, ticket.UnboundSince ?? seen?.Ticks ?? request.BeganAt.UtcTicks, request);
            }
            else if (request.Step.Act == SignInAct.Refresh && request.Ticket?.Number is { } former && _model.SignIns.TryGetValue(former, out var refreshed))
            {
                _model.SignIns[written] = refreshed;
            }
            else
            {
                throw new DifferenceException("there is a ticket that no sign-in gave");
            }
        }

        foreach (var id in all)
        {
            await AdoptAsync(id, request, seen);
        }

        if (request.IsSpared && ticket?.Number is { } late && _model.SignIns.TryGetValue(late, out var overSpared) && !_model.Sessions.Values.Any(one => one.SignIn == overSpared))
        {
            overSpared.End("the password was changed while it signed in");
        }

        var isMovedByCopy = request.Step is { Trouble: Trouble.Held, Meanwhile: SignInAct.Regenerate or SignInAct.ChangePassword };
        if (request.Id is { } old && !isMovedByCopy && request.Sight.Session?.SignIn is { } moved && !_model.Sessions.ContainsKey(old))
        {
            moved.Holder = request.Step.Who;
        }

        // A ticket that is bound only now says whose password it is.
        var owner = request.Sight.Owner is { Length: > 0 } known ? known : request.Ticket is { UnboundSince: not null } unboundTicket ? unboundTicket.User : null;
        foreach (var (_, session) in alive)
        {
            var signIn = session.SignIn!;
            if (signIn.Ended is null && !_model.Sessions.Values.Any(other => other.SignIn == signIn))
            {
                // A change of the sign-in itself that is cut off may have ended the one before, as does a ticket that is bound over it late.
                var isOwn = session == request.Sight.Session
                    // Limit, docs/users.md: who shows the ticket within a minute of its binding shares that session.
                    || (request.Ticket is { UnboundSince: not null, Number: { } unbound } && _model.SignIns.GetValueOrDefault(unbound) == signIn);
                var mayEnd = request.Step.Act is SignInAct.SignIn or SignInAct.SignOut or SignInAct.Refresh || request.Ticket?.UnboundSince is not null;
                var isChanged = request.Step is { Act: SignInAct.ChangePassword } or { Trouble: Trouble.Held, Meanwhile: SignInAct.ChangePassword };
                var isOthers = isChanged && signIn.User == owner;
                signIn.End((mayEnd && isOwn) || isOthers
                    ? $"{request.Step.Act} was cut off"
                    : throw new DifferenceException($"a sign-in of {signIn.User} has ended without a reason"));
            }
        }

        var touched = new[] { request.Sight.Session?.SignIn, ticket?.Number is { } number ? _model.SignIns.GetValueOrDefault(number) : null };
        foreach (var signIn in touched)
        {
            if (signIn is not null)
            {
                signIn.MayLackEntry |= request.Step.Trouble is Trouble.LostReply or Trouble.SlowRequest or Trouble.SlowValidation;
            }
        }

        if (!request.Step.IsReplay && request.Sight.IsHonoured)
        {
            MustStay(request, ticket, newId);
        }

        if (request.Step.Act == SignInAct.ChangePassword && owner is not null)
        {
            // Who does not know whether the others were ended ends them all.
            _fleet.Clock.Advance(TimeSpan.FromMilliseconds(1));
            await _fleet.Servers[0].Users.RevokeAllAsync(owner);
            _model.RevokeAll(owner, null, "all were revoked after a change of password in trouble", Now);
        }

        await EndForgottenAsync();
    }

    private void MustStay(Request request, Ticket? ticket, Guid? id)
    {
        var (step, signIn) = (request.Step, request.Sight.Session!.SignIn!);
        if (step.Act is SignInAct.SignOut or SignInAct.SignIn || signIn.Ended is not null || signIn.Holder != step.Who)
        {
            return;
        }

        if (ticket?.Number is null || id is null || _model.Sessions.GetValueOrDefault(id.Value)?.Number != ticket.Number)
        {
            throw new DifferenceException($"{step.Act} in trouble signs an honest browser out");
        }
    }

    private async Task AdoptAsync(Guid id, Request request, Seen? seen)
    {
        var limit = System.Diagnostics.Stopwatch.StartNew();
        while (true)
        {
            var hash = await _fleet.ReadAsync(id);
            if (hash.Count == 0)
            {
                _model.Sessions.Remove(id);
                return;
            }

            var number = hash.GetValueOrDefault("@n");
            var signIn = number is null ? null : SignInOf(number, hash["@u"], request, seen);
            if (signIn is { Ended: not null, MayLackEntry: false })
            {
                if (hash.TryGetValue("@e", out var over) && long.Parse(over, CultureInfo.InvariantCulture) < Now.ToUnixTimeMilliseconds())
                {
                    // Its ticket has expired, and who loads it next ends it: this request could not.
                    _model.Sessions.Remove(id);
                    return;
                }

                if (limit.Elapsed > Settling)
                {
                    throw new DifferenceException($"a sign-in of {signIn.User} is there again, which ended: {signIn.Ended}");
                }

                // What ends it was sent without being waited for.
                await Task.Delay(2);
                continue;
            }

            var session = _model.Sessions.GetValueOrDefault(id) ?? SignInModel.NewSession(Now) with { IsOtherAgent = request.Step.IsOtherAgent };
            _model.Sessions[id] = session with
            {
                SignIn = signIn,
                Number = number,
                Data = hash.GetValueOrDefault("data") ?? "",
                Ends = hash.TryGetValue("@e", out var ends) ? DateTimeOffset.FromUnixTimeMilliseconds(long.Parse(ends, CultureInfo.InvariantCulture)) : null,
                Idle = hash.TryGetValue("@i", out var idle) ? TimeSpan.FromMilliseconds(long.Parse(idle, CultureInfo.InvariantCulture)) : session.Idle,
            };
            return;
        }
    }

    /// <summary>What is signed in over the session that a revocation spares goes on as that, if it comes to be: docs/users.md, "its later ids after it".</summary>
    private SignIn Begin(string number, string user, long begunAt, Request request) =>
        _model.Begin(number, user, request.IsSpared ? Now.UtcTicks : begunAt, request.Step.Who);

    private SignIn SignInOf(string number, string user, Request request, Seen? seen)
    {
        if (_model.SignIns.TryGetValue(number, out var signIn))
        {
            return signIn;
        }

        return request.Step.Act switch
        {
            SignInAct.SignIn when user == request.User => Begin(number, user, seen?.Ticks ?? request.BeganAt.UtcTicks, request),
            SignInAct.Refresh when request.Sight.Session?.SignIn is { } refreshed && refreshed.User == user => _model.SignIns[number] = refreshed,
            _ => throw new DifferenceException($"{user} has a sign-in that nobody made"),
        };
    }

    /// <summary>The limit of <see cref="SignIn.MayLackEntry"/>: its next heartbeat ends what a revocation did not find.</summary>
    private async Task EndForgottenAsync()
    {
        foreach (var (ticket, session) in _pairs.ToArray())
        {
            if (_fleet.IdOf(session) is not { } id
                || _fleet.TicketOf(ticket)?.Number is not { } number
                || !_model.SignIns.TryGetValue(number, out var signIn)
                || signIn is not { Ended: not null, MayLackEntry: true }
                || (await _fleet.ReadAsync(id)).GetValueOrDefault("@n") != number)
            {
                continue;
            }

            await PassAsync(TimeSpan.FromMinutes(2));
            foreach (var agent in new[] { AttackAgents.Usual, AttackAgents.Other })
            {
                var browser = _fleet.NewBrowser();
                browser.Headers["User-Agent"] = agent;
                browser.SetCookie(SignInSite.AuthCookie, ticket!);
                browser.SetCookie(Browser.SessionCookie, session!);
                await browser.GetAsync("/do/See/-");
            }

            var limit = System.Diagnostics.Stopwatch.StartNew();
            while ((await _fleet.ReadAsync(id)).Count > 0)
            {
                if (limit.Elapsed > Settling)
                {
                    throw new DifferenceException($"a sign-in of {signIn.User} outlives its heartbeat, which ended: {signIn.Ended}");
                }

                await Task.Delay(2);
            }

            _model.Sessions.Remove(id);
        }
    }

    private sealed class Request(SignInStep step, Browser browser, Ticket? ticket, Guid? id, Sight sight, string user, string value)
    {
        public SignInStep Step { get; } = step;

        public Browser Browser { get; } = browser;

        public IReadOnlyDictionary<string, string> Before { get; } = browser.Cookies;

        public Ticket? Ticket { get; } = ticket;

        public Guid? Id { get; } = id;

        public Sight Sight { get; } = sight;

        public string User { get; } = user;

        public string Value { get; } = value;

        public DateTimeOffset BeganAt { get; init; }

        /// <summary>It signs in over the session that a change of password spares meanwhile.</summary>
        public bool IsSpared { get; set; }

        public string Path { get; } = $"/do/{step.Act}/{(step.Act == SignInAct.SignIn ? user + (step.IsRemembered ? "!" : "") : value)}";
    }

    private sealed record Seen(string Name, string Owner, string Data, long Ticks)
    {
        public static Seen Of(string body)
        {
            var words = body.Split('|');
            return new(words[0], words[1], words[2], long.Parse(words[3], CultureInfo.InvariantCulture));
        }
    }
}

/// <summary>Two families of browsers.</summary>
internal static class AttackAgents
{
    public const string Usual = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0";
    public const string Other = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36";
}
