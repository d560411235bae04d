using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using MvcSample.Models;
using RedisSessions;

namespace MvcSample.Controllers;

/// <summary>What the shop's sessions do, all visitors' together: for its operators only.</summary>
[Authorize(Roles = DemoUsers.Admin)]
public sealed class StatisticsController(ISessionAnalytics analytics) : Controller
{
    [HttpGet]
    public async Task<IActionResult> Index()
    {
        var today = DateOnly.FromDateTime(DateTime.UtcNow);
        return View(new Statistics(
            await analytics.GetMetricsAsync(),
            await analytics.GetDailyReportAsync(today),
            await analytics.GetEventCountsAsync(today),
            await analytics.GetEventsAsync(HttpContext.Session.Id)));
    }
}
