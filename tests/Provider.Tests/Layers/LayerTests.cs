using System.Text.RegularExpressions;

namespace RedisSessions.Tests.Layers;

/// <summary>No folder of the library reaches up; see src/Provider/README.md. The sources tell, for a constant leaves no trace in the assembly.</summary>
public sealed partial class LayerTests
{
    // What each folder may use. Preloading is registered by DependencyInjection, and used by nobody else.
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Redis"] = [],
        ["Clients"] = [],
        ["Storage"] = ["Redis"],
        ["Diagnostics"] = ["Storage", "Redis"],
        ["Sessions"] = ["Storage", "Redis", "Diagnostics", "Clients"],
        ["Preloading"] = ["Sessions"],
        ["Caching"] = ["Redis"],
        ["Users"] = ["Sessions", "Storage", "Redis", "Diagnostics", "Clients"],
        ["Security"] = ["Sessions", "Storage", "Redis", "Diagnostics", "Clients"],
        ["Analytics"] = ["Sessions", "Storage", "Redis", "Diagnostics", "Clients"],
        ["Live"] = ["Sessions", "Storage", "Redis", "Diagnostics", "Clients"],
        ["Lifecycle"] = ["Sessions", "Storage", "Redis", "Diagnostics", "Clients"],
        ["Migration"] = ["Sessions", "Storage", "Redis", "Diagnostics", "Caching"],
        ["Endpoints"] = ["Users", "Security", "Analytics", "Sessions", "Storage", "Redis", "Diagnostics", "Clients"],
        ["DependencyInjection"] = ["Preloading", "Sessions", "Storage", "Redis", "Diagnostics"],
    };

    // Methods that hang off the builder stand beside their add-on.
    private static readonly string[] Public = ["Json"];

    [Fact]
    public void No_folder_reaches_up()
    {
        var folder = Path.Combine(RepositoryRoot.Path, "src", "Provider");
        var wrong = new List<string>();
        foreach (var file in Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories))
        {
            var from = Path.GetRelativePath(folder, file).Split(Path.DirectorySeparatorChar)[0];
            if (from is "bin" or "obj")
            {
                continue;
            }

            Assert.True(Allowed.ContainsKey(from), $"The folder {from} is new: say what it may use.");
            foreach (Match use in Uses().Matches(File.ReadAllText(file)))
            {
                var to = use.Groups[1].Value;
                if (to != from && !Public.Contains(to) && Allowed.ContainsKey(to) && !Allowed[from].Contains(to))
                {
                    wrong.Add($"{Path.GetRelativePath(folder, file)} uses {to}");
                }
            }
        }

        Assert.Empty(wrong);
    }

    [Fact]
    public void A_folder_that_is_used_uses_nothing_that_uses_it()
    {
        foreach (var folder in Allowed.Keys)
        {
            Assert.DoesNotContain(folder, Reachable(folder));
        }

        static HashSet<string> Reachable(string from)
        {
            var found = new HashSet<string>();
            var open = new Queue<string>(Allowed[from]);
            while (open.TryDequeue(out var next))
            {
                if (found.Add(next))
                {
                    foreach (var further in Allowed[next])
                    {
                        open.Enqueue(further);
                    }
                }
            }

            return found;
        }
    }

    [GeneratedRegex(@"\bRedisSessions\.(\w+)")]
    private static partial Regex Uses();
}
