/** The version of everything that Elastic makes: what is deployed, what the data view is made for, what the tests run. */
export const stackVersion = "8.19.21";
