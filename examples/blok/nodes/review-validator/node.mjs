// What is valid has a text; what is printed is a log.
export default async function (ctx, { reviews }) {
  const whole = (review) => review.text.trim() !== "";
  ctx.log("validated", { reviews: reviews.length });
  return {
    valid: reviews.filter(whole).map((review) => review.id),
    invalid: reviews.filter((review) => !whole(review)).map((review) => review.id),
  };
}
