using CsCheck;

namespace RedisSessions.Tests.Model;

/// <summary>
/// Random histories. A step that a request cannot take because it is not open opens it instead, so that few steps are idle.
/// </summary>
internal static class HistoryGen
{
    private const int Requests = 3;
    private const int MaxSteps = 40;

    /// <summary>Everything there is, each as often as makes most pairs of steps meet within a history.</summary>
    public static readonly IReadOnlyList<(int Weight, Act Act)> All =
    [
        (10, Act.Begin), (18, Act.Set), (3, Act.SetAtStart), (6, Act.Remove), (4, Act.Clear), (3, Act.SetIdle), (8, Act.Increment),
        (7, Act.Regenerate), (3, Act.Destroy), (7, Act.Commit), (8, Act.Start), (3, Act.ExecuteAgain), (3, Act.Throw), (18, Act.End),
        (2, Act.Expire), (4, Act.Advance), (4, Act.Mark), (4, Act.Failover),
    ];

    /// <summary>What it takes for two servers to reach one version by different roads, and no more.</summary>
    public static readonly IReadOnlyList<(int Weight, Act Act)> CommitsAndFailovers =
    [
        (10, Act.Begin), (20, Act.Set), (5, Act.Remove), (10, Act.Commit), (20, Act.End), (6, Act.Mark), (6, Act.Failover),
    ];

    /// <param name="acts">How often which act is drawn.</param>
    /// <param name="lossy">One history in so many loses replies; 0 for none. Losing one costs a new connection.</param>
    public static Gen<Step[]> Of(IReadOnlyList<(int Weight, Act Act)> acts, int lossy)
    {
        var drawn = Gen.Frequency([.. acts]);
        var step = Gen.Select(drawn, Gen.Int[0, Requests - 1], Gen.Int[0, 11], Gen.Int[0, 63], Gen.Int[1, 12]);
        var loss = lossy == 0 ? Gen.Const(false) : Gen.Int[1, lossy].Select(number => number == lossy);
        return Gen.Select(step.Array[1, MaxSteps], loss).Select(static (drawn, loses) => Open(drawn, loses));
    }

    private static Step[] Open((Act Act, int Request, int Number, int How, int Loss)[] drawn, bool loses)
    {
        var open = new bool[Requests];
        var steps = new Step[drawn.Length];
        for (var i = 0; i < drawn.Length; i++)
        {
            var (act, request, number, how, loss) = drawn[i];
            var step = new Step(act, request, number);
            if (step.IsOfRequest)
            {
                step = open[request] && act != Act.Begin ? step : step with
                {
                    Act = Act.Begin,
                    Server = how & 1,
                    Browser = (how & 2) == 2 && (how & 4) == 4 ? 1 : 0,
                    CookieAge = (how & 24) == 24 ? 1 + (number % 2) : 0,
                    Blocks = (how & 32) == 32 && number == 0,
                };
                open[request] = step.Act != Act.End;
            }

            var talksToRedis = step.Act is Act.Begin or Act.Increment or Act.Destroy or Act.Commit or Act.Start or Act.End;
            steps[i] = loses && loss <= 3 && talksToRedis ? step with { LostReply = loss } : step;
        }

        return steps;
    }
}
