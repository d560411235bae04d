using Microsoft.AspNetCore.Http.Features;

namespace RedisSessions.Tests.Model;

/// <summary>A request that waits in its endpoint between steps.</summary>
internal sealed class OpenRequest
{
    private readonly StartableResponse _response = new();
    private readonly DefaultHttpContext _context = new();
    private TaskCompletionSource<ISession> _arrived = new();
    private TaskCompletionSource<Leave> _leave = new();
    private Task _pipeline = Task.CompletedTask;

    private OpenRequest(ModelServer server, int browser, bool hasCookie) => (Server, Browser, HasCookie) = (server, browser, hasCookie);

    private enum Leave
    {
        Normally,
        WithStatus,
        WithException,
    }

    public ModelServer Server { get; }

    public int Browser { get; }

    public bool HasCookie { get; }

    public ISession Session { get; private set; } = null!;

    public IHeaderDictionary Headers => _response.Headers;

    public bool HasStarted => _response.HasStarted;

    /// <summary>What a callback of the response threw.</summary>
    public Exception? Failure { get; private set; }

    public static async Task<OpenRequest> BeginAsync(ModelServer server, int browser, string? cookie)
    {
        var request = new OpenRequest(server, browser, cookie is not null);
        var context = request._context;
        context.Features.Set<IHttpResponseFeature>(request._response);
        context.Features.Set(request);
        context.RequestServices = server.Services;
        context.Request.Method = HttpMethods.Get;
        context.Request.Path = "/";
        context.Request.Headers.Cookie = cookie;
        // First in, last out: it runs behind the session's own.
        context.Response.OnStarting(static state => ((OpenRequest)state).RunOutermostAsync(), request);
        request._pipeline = request.RunAsync();
        request.Session = await request.ArriveAsync();
        return request;
    }

    /// <summary>The endpoint.</summary>
    public static async Task ServeAsync(HttpContext context)
    {
        var request = context.Features.Get<OpenRequest>()!;
        request._arrived.SetResult(context.Session);
        var leave = await request._leave.Task;
        if (leave == Leave.WithException)
        {
            throw new InvalidOperationException("The page failed.");
        }

        context.Response.StatusCode = leave == Leave.WithStatus ? StatusCodes.Status404NotFound : StatusCodes.Status200OK;
    }

    private Action? _outermost;

    /// <summary>Registers what is done when the response starts.</summary>
    public void AtStart(Action action, bool outermost)
    {
        if (outermost)
        {
            _outermost = action + _outermost;
        }
        else
        {
            _context.Response.OnStarting(state =>
            {
                ((Action)state)();
                return Task.CompletedTask;
            }, action);
        }
    }

    public async Task StartAsync() => Failure = await _response.StartAsync();

    /// <summary>Leaves the endpoint in a way that brings the request back to it.</summary>
    public async Task ExecuteAgainAsync(bool byException)
    {
        var leave = _leave;
        (_arrived, _leave) = (new(), new());
        leave.SetResult(byException ? Leave.WithException : Leave.WithStatus);
        Session = await ArriveAsync();
    }

    public async Task EndAsync()
    {
        _leave.SetResult(Leave.Normally);
        await _pipeline;
        if (!_response.HasStarted)
        {
            await StartAsync();
        }

        await _response.CompleteAsync();
    }

    private async Task RunAsync()
    {
        // Flows with this request only, as the server's own context does.
        Server.Services.GetRequiredService<IHttpContextAccessor>().HttpContext = _context;
        await Server.Pipeline(_context);
    }

    private async Task<ISession> ArriveAsync()
    {
        await Task.WhenAny(_arrived.Task, _pipeline);
        return _arrived.Task.IsCompleted ? await _arrived.Task : throw new InvalidOperationException("The pipeline never reached the endpoint.");
    }

    private Task RunOutermostAsync()
    {
        _outermost?.Invoke();
        return Task.CompletedTask;
    }
}
