using RedisSessions.Faults;

namespace RedisSessions.Tests.Faults;

/// <summary>
/// A few of the faults of <c>tests/Faults</c>, shortly: two hosts, their browsers under load, and what is left afterwards. Every one, for longer and with figures, is
/// a command of that program.
/// </summary>
[Collection(Alone.Name)]
public sealed class FaultTests
{
    public FaultTests() => RedisServer.SkipUnlessInstalled();

    [Theory]
    [InlineData("restart", false)]
    [InlineData("cut", true)]
    [InlineData("sentinel-kill", true)]
    [InlineData("cluster-kill", false)]
    public async Task No_request_fails_and_nothing_is_lost(string name, bool notified)
    {
        // Fewer than the program sends, for two processors have to do with Redis, its replicas and Sentinels, too.
        var fault = AllFaults.List.Single(fault => fault.Name == name);
        var outcome = await FaultRun.RunAsync(fault, new FaultOptions(Stack.Ours, TimeSpan.FromSeconds(20), Seconds: 4.5, Sessions: 8, notified));
        Assert.True(outcome.Failed == 0, $"{outcome}\n{string.Join('\n', outcome.Reasons)}");
        Assert.Equal((0, 0, 0), (outcome.Diverged, outcome.WithoutTtl, outcome.NotHealed));

        // What a promoted replica had not got is the engine's to lose: it is lost for everybody.
        Assert.True(outcome.Lost == 0 || fault.Engine != Engine.Single, outcome.ToString());
        Assert.True(outcome.Requests > 100, outcome.ToString());
    }
}
