using System.Globalization;
using Microsoft.AspNetCore.DataProtection;
using RedisSessions.Faults;

// list | all | soak [minutes] | NAME... ; --wait SECONDS, --seconds SECONDS, --stack microsoft, --notified, --client-follows, --reasons
if (args is ["host", var stackName, var redis, var wait, var ring, var port])
{
    var builder = WebApplication.CreateSlimBuilder();
    builder.Logging.ClearProviders();
    builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
    var stack = Enum.Parse<Stack>(stackName);
    FleetHost.Add(builder.Services, stack, redis, FaultRun.Prefix, new FaultOptions(stack, TimeSpan.Parse(wait, CultureInfo.InvariantCulture)));
    builder.Services.AddSingleton(DataProtectionProvider.Create(new DirectoryInfo(ring)));
    var app = builder.Build();
    FleetHost.Map(app, stack);
    await app.RunAsync();
    return 0;
}

var options = new FaultOptions(
    args.Contains("microsoft") ? Stack.Microsoft : Stack.Ours,
    TimeSpan.FromSeconds(Number("--wait", 5)),
    Number("--seconds", 15),
    (int)Number("--sessions", 26),
    args.Contains("--notified"),
    args.Contains("--client-follows"));
var names = args.Where((arg, i) => !arg.StartsWith("--", StringComparison.Ordinal) && (i == 0 || args[i - 1] is not ("--wait" or "--seconds" or "--sessions" or "--stack"))).ToList();
switch (names)
{
    case [] or ["list"]:
        foreach (var fault in AllFaults.List)
        {
            Console.WriteLine($"{fault.Name,-22} {fault.What}");
        }

        return 0;
    case ["soak", ..]:
        return await Soak.RunAsync(TimeSpan.FromMinutes(names.Count > 1 ? double.Parse(names[1], CultureInfo.InvariantCulture) : 20), options) ? 0 : 1;
}

Console.WriteLine(Outcome.Header);
foreach (var fault in names is ["all"] ? AllFaults.List : names.Select(name => AllFaults.List.Single(fault => fault.Name == name)))
{
    var outcome = await FaultRun.RunAsync(fault, options);
    Console.WriteLine(outcome);
    if (args.Contains("--reasons"))
    {
        foreach (var (reason, count) in outcome.Reasons.OrderByDescending(pair => pair.Value))
        {
            Console.WriteLine($"    {count}: {reason}");
        }
    }
}

return 0;

double Number(string name, double otherwise) => Array.IndexOf(args, name) is >= 0 and var at ? double.Parse(args[at + 1], CultureInfo.InvariantCulture) : otherwise;
