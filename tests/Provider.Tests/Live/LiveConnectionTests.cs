using System.Net.WebSockets;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;

namespace RedisSessions.Tests.Live;

/// <summary>What is open belongs to its session: on every server, over every transport, on every kind of Redis.</summary>
public abstract class LiveConnectionTests(RedisServer server) : ServerTest(server)
{
    private readonly List<IAsyncDisposable> _open = [];

    public static TheoryData<HttpTransportType> Transports => [.. LiveSite.Transports];

    private protected async Task<LiveSite> SiteAsync(Action<LiveConnectionOptions>? live = null, Action<IServiceCollection>? services = null, Action<RedisSessionBuilder>? addOns = null)
    {
        var site = await LiveSite.StartAsync(Server.Address + RedisServer.Patient, Fleet, live, services, addOns);
        _open.Add(site);
        await site.HearsAsync();
        return site;
    }

    private protected T Keep<T>(T open)
        where T : IAsyncDisposable
    {
        _open.Insert(0, open);
        return open;
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_revoked_session_closes_its_hub_on_another_server_and_no_other(HttpTransportType transport)
    {
        var (here, there) = (await SiteAsync(), await SiteAsync());
        var (browser, other) = (here.NewBrowser(), here.NewBrowser());
        var id = await browser.GetAsync("/login/ada");
        await other.GetAsync("/login/grace");
        var (client, others) = (Keep(await there.ConnectAsync(browser, transport)), Keep(await there.ConnectAsync(other, transport)));
        Assert.Equal("hello", await client.SayAsync("hello"));

        Assert.Equal(RevokeResult.Revoked, await here.Services.GetRequiredService<IUserSessions>().RevokeAsync("ada", id));
        await client.Closed.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("hello", await others.SayAsync("hello"));
    }

    [Theory]
    [InlineData("/logout")]
    [InlineData("/destroy")]
    [InlineData("/login/grace")]
    public async Task What_ends_a_session_in_a_request_closes_hub_and_socket_on_another_server(string path)
    {
        var (here, there) = (await SiteAsync(), await SiteAsync());
        var browser = here.NewBrowser();
        await browser.GetAsync("/login/ada");
        var client = Keep(await there.ConnectAsync(browser));
        using var socket = await there.OpenSocketAsync(browser);
        Assert.Equal("hello", await EchoAsync(socket, "hello"));

        await browser.GetAsync(path);
        await client.Closed.WaitAsync(TimeSpan.FromSeconds(30));
        await ClosedAsync(socket);
    }

    [Fact]
    public async Task A_session_with_another_id_keeps_its_connections_and_they_end_with_it()
    {
        var (here, there) = (await SiteAsync(), await SiteAsync());
        var browser = here.NewBrowser();
        await browser.GetAsync("/login/ada");
        await browser.GetAsync("/set/a/1");
        var client = Keep(await there.ConnectAsync(browser));
        using var socket = await there.OpenSocketAsync(browser);
        await browser.GetAsync("/regenerate");
        await browser.GetAsync("/set/a/2");
        Assert.Equal("2", await client.ReadAsync("a"));
        await browser.GetAsync("/login/ada");
        Assert.Equal("2", await client.ReadAsync("a"));
        Assert.Equal("hello", await EchoAsync(socket, "hello"));
        Assert.False(client.Closed.IsCompleted);

        await browser.GetAsync("/destroy");
        await client.Closed.WaitAsync(TimeSpan.FromSeconds(30));
        await ClosedAsync(socket);
    }

    [Fact]
    public async Task A_session_that_becomes_a_users_closes_what_was_nobodys()
    {
        // Whoever planted the session in the browser must not look at it from here on.
        var site = await SiteAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var planted = Keep(await site.ConnectAsync(browser));
        Assert.Equal("1", await planted.ReadAsync("a"));
        await browser.GetAsync("/login/ada");
        await planted.Closed.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task A_session_that_expires_closes_its_connections()
    {
        var site = await SiteAsync();
        var browser = site.NewBrowser();
        await browser.GetAsync("/set/a/1");
        await browser.GetAsync("/owner-idle/1");
        var client = Keep(await site.ConnectAsync(browser));
        using var socket = await site.OpenSocketAsync(browser);
        await client.Closed.WaitAsync(TimeSpan.FromSeconds(30));
        await ClosedAsync(socket);
        Assert.False(await site.Site.Sessions.ExistsAsync(await browser.GetAsync("/id")));
    }

    [Fact]
    public async Task A_hub_reads_and_changes_the_session_as_requests_do()
    {
        var (here, there) = (await SiteAsync(addOns: builder => builder.AddEncryption()), await SiteAsync(addOns: builder => builder.AddEncryption()));
        var browser = here.NewBrowser();
        await browser.GetAsync("/set/a/1");
        var client = Keep(await there.ConnectAsync(browser));
        Assert.Equal("1", await client.ReadAsync("a"));
        await browser.GetAsync("/set/b/2");
        Assert.Equal("2", await client.ReadAsync("b"));
        Assert.True(await client.WriteAsync("a", "3"));
        Assert.Equal("3", await browser.GetAsync("/get/a"));
        Assert.Equal("2", await browser.GetAsync("/get/b"));
        // Not invoked: the reply may be lost with the connection.
        await client.Connection.SendAsync(nameof(TalkHub.End));
        await client.Closed.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("", await browser.GetAsync("/get/a"));
    }

    private protected static async Task<string> EchoAsync(WebSocket socket, string text)
    {
        await socket.SendAsync(System.Text.Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
        var buffer = new byte[1024];
        var received = await socket.ReceiveAsync(buffer, CancellationToken.None);
        return System.Text.Encoding.UTF8.GetString(buffer, 0, received.Count);
    }

    /// <summary>Waits until the server has cut it.</summary>
    private protected static Task ClosedAsync(WebSocket socket) =>
        Assert.ThrowsAsync<WebSocketException>(() => socket.ReceiveAsync(new byte[16], CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30)));

    public override async ValueTask DisposeAsync()
    {
        foreach (var open in _open)
        {
            await open.DisposeAsync();
        }

        await base.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}

public sealed class LiveConnectionsOnGarnet(InProcessGarnet server) : LiveConnectionTests(server);

public sealed class LiveConnectionsOnRedis(LocalRedis server) : LiveConnectionTests(server);

public sealed class LiveConnectionsOnCluster(LocalCluster server) : LiveConnectionTests(server);

public sealed class LiveConnectionsInContainer(ContainerRedis server) : LiveConnectionTests(server);

public sealed class LiveConnectionsOnGivenServer(GivenRedis server) : LiveConnectionTests(server);
